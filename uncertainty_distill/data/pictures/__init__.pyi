"""The names that this package offers, for type checkers and `__init__.py`."""

from .class_folders import TEST_NAMES as TEST_NAMES
from .class_folders import list_pictures as list_pictures
from .class_folders import list_unsorted as list_unsorted
from .folder_dataset import PictureFolder as PictureFolder
from .image_decoding import decode_images as decode_images
from .picture_files import UnreadableError as UnreadableError
from .picture_files import is_picture as is_picture
from .picture_files import read_picture as read_picture
