"""The public functions, which `uncertainty_distill` itself offers.

They are the commands for programs and notebooks: each calls the same functions
as its command. A module is imported when one of its names is first used.
"""

import os

# As in the commands: TensorFlow reads this variable when it is imported, and
# then does not describe the machine.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
