from .settings import Settings as Settings
from .task import Task as Task
