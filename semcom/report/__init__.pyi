from .page import page as page
from .page import write as write
