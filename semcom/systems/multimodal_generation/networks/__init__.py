"""Networks of multimodal generation: small ones of this project, and adapters to pretrained ones."""
