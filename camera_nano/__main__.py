"""python -m camera_nano."""

import sys

from camera_nano.cli import main

sys.exit(main())
