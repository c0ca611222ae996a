"""`python tools/evaluate.py`, where people's scripts look for it; see `judging/evaluate.py`."""

import runpy
import sys
from pathlib import Path

judging = Path(__file__).parent / "judging"
sys.path.insert(0, str(judging))
runpy.run_path(str(judging / "evaluate.py"), run_name="__main__")
