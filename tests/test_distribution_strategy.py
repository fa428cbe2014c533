"""Two replicas on two logical CPU devices train as one device does.

The devices must be made before TensorFlow starts, so the work runs in a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

from conftest import needs_tensorflow


@needs_tensorflow
def test_mirrored_training_equals_training_on_one_device():
    script = Path(__file__).with_name("train_mirrored.py")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "EQUAL" in done.stdout
