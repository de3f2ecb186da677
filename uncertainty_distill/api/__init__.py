"""The public functions, which the package `uncertainty_distill` offers.

They are the commands for programs and notebooks: each public function calls the
same code as its command. A module is imported when one of its names is first
used.
"""

import os

# As in the commands: TensorFlow reads this variable when it is imported, and
# with this value does not describe the machine.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
