r"""Trains without a teacher: a single network or a BatchEnsemble.

With --ensemble_size=1 the command trains a single network with the
hyperparameters of the teacher's members. Otherwise it trains a BatchEnsemble
with the student's hyperparameters.

  python baselines/cifar/train.py --experiment=cifar10_wrn10_1 \
      --model_dir=runs/single --ensemble_size=1
"""

from uncertainty_distill.baselines.cifar import launch

# isort: split
from uncertainty_distill import configs, evaluation, runs, training
from uncertainty_distill.baselines.cifar import finish

from absl import flags

launch.define_training_flags()
flags.adopt_module_key_flags(launch)


def main():
  config = launch.experiment_config()
  model_dir = launch.required('model_dir', 'a folder for the run')
  label = 'batch_ensemble'
  if config.task.model.ensemble_size == 1:
    label = 'single_network'
  standalone = configs.standalone_config(config)
  mode = flags.FLAGS.mode
  strategy = launch.strategy_for(standalone, training=mode != 'eval')
  if mode == 'eval':
    runs.open_run(model_dir, 'model_dir')
  experiment = training.open_experiment(standalone, strategy)
  configs.warn_of_unused(config, trains_alone=True)
  systems = [evaluation.System(label, None, (model_dir,))]
  finish.check(systems, experiment, model_dir)
  if mode != 'eval':
    training.train(experiment, model_dir, mode != 'train')
  finish.evaluate_and_export(systems, experiment, model_dir, 'Training')


if __name__ == '__main__':
  launch.run(main)
