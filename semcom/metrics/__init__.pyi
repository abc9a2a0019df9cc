from .budget import channel_uses_by_part as channel_uses_by_part
from .fidelity import ms_ssim as ms_ssim
from .fidelity import psnr as psnr
from .fidelity import ssim as ssim
from .metric import Metric as Metric
from .metric import measure as measure
from .metric import metric as metric
from .perceptual import lpips as lpips
