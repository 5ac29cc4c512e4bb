"""The only part that imports mmengine, mmcv, mmpose and mmdet. Importing it registers everything configs name."""

from equistera.mm import bridge

bridge.install()
