"""OpenCV, imported here alone: its import leaves the current folder in `LD_LIBRARY_PATH`, and here that is cleaned."""

import cv2 as cv2

from camera_nano.environment import clean_library_path

clean_library_path()
