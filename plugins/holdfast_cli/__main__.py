"""``python -m holdfast_cli`` is ``holdfast``."""

from __future__ import annotations

import sys

from holdfast_cli import main

sys.exit(main())
