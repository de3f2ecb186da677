"""The public functions, which `uncertainty_distill` itself offers.

They are the commands for programs and notebooks: each calls what its command
calls. The modules are imported one by one, as their names are asked for.
"""

import os

# As in the commands: TensorFlow reads it when it is imported, and keeps its
# remarks on the machine to itself, which no one who trains a model can use.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
