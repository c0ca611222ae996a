"""Picture files in and out: decoding in processes of its own, encoding, metadata, marks, signatures, HDR.

This is the door: other rooms take these names from here.
"""

from camera_nano.files.decode import LIMIT_BYTES, Picture, check_regular, decode
from camera_nano.files.decoder import Decoder
from camera_nano.files.deliver import Original, deliver
from camera_nano.files.encode import encode
from camera_nano.files.encode_light import LIGHT_SUFFIXES, codes_of_light, exr_of_light, require_exr
from camera_nano.files.foreign import inspect, open_image, save, shared_decoder
from camera_nano.files.gainmap import from_headroom
from camera_nano.files.marking import marked_capture, photo_digest, samples_of
from camera_nano.files.metadata import Metadata, of_frame, unkept
from camera_nano.files.taken import Taken

__all__ = [
    "LIGHT_SUFFIXES",
    "LIMIT_BYTES",
    "Decoder",
    "Metadata",
    "Original",
    "Picture",
    "Taken",
    "check_regular",
    "codes_of_light",
    "decode",
    "deliver",
    "encode",
    "exr_of_light",
    "from_headroom",
    "inspect",
    "marked_capture",
    "of_frame",
    "open_image",
    "photo_digest",
    "require_exr",
    "samples_of",
    "save",
    "shared_decoder",
    "unkept",
]
