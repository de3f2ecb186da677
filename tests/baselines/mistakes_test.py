"""Tests of what the commands say about mistakes in flags, overrides and YAML.

Each message is one line that names what is at fault. messages_test.py checks
whole sentences.
"""

import pytest
import running

_DIGITS = '--experiment=digits_wrn10_1'

# Maps each mistake to the names that must be said and to the call. {new} is a
# folder that must not be made, {old} the folder of a finished run, and {tmp} a
# folder with files.
_FLAGS = {
  'unknown experiment': (
    '--experiment digits_wrn101 digits_wrn10_1',
    'distill --experiment=digits_wrn101 --model_dir={new}',
  ),
  'no experiment': ('--experiment', 'train --model_dir={new}'),
  'misspelled flag': (
    'modle_dir model_dir',
    'distill {digits} --modle_dir={new}',
  ),
  'misspelled flag of evaluate': (
    'outptu_dir',
    'evaluate --run={old} --outptu_dir={new}',
  ),
  'a flag twice': (
    '--run A,B',
    'evaluate --run={old} --run={member} --output_dir={new}',
  ),
  'overrides twice': (
    '--params_override 2',
    'train {digits} --model_dir={new} --params_override=task.seed=1 '
    '--params_override=task.l2=1',
  ),
  'a flag and an override': (
    '--seed=1 task.seed=2',
    'train {digits} --model_dir={new} --seed=1 --params_override=task.seed=2',
  ),
  'a Keras file as the teacher': (
    '--teacher model.keras model.export',
    'distill {digits} --model_dir={new} --teacher=model.keras',
  ),
  'a folder for TensorFlow Lite': (
    '--tflite {old} model.tflite',
    'export --run={old} --output_dir={new} --tflite={old}',
  ),
  'a folder that is not there for TensorFlow Lite': (
    '--tflite {new}/ model.tflite',
    'export --run={old} --output_dir={new} --tflite={new}/',
  ),
  'TensorFlow Lite of a model that is replaced': (
    '--output_dir --tflite {old}/saved_model',
    'export --run={old}/saved_model --output_dir={old}/saved_model '
    '--tflite={tmp}/m.tflite',
  ),
  'a method of no prediction sets': (
    '--conformal_method --conformal',
    'export --run={old} --output_dir={new} --conformal_method=aps',
  ),
  'what a run takes of no cluster': (
    '--ray_resources --ray',
    'distill {digits} --model_dir={new} --ray_resources={{}}',
  ),
  'machines for a teacher that is there': (
    '--ray teacher',
    'distill {digits} --model_dir={new} --ray --teacher={member}',
  ),
  'no such dataset': (
    'gone.npz',
    'train {digits} --model_dir={new} '
    '--params_override=task.train_data.name=gone.npz',
  ),
  'unknown mode': (
    '--mode=x train_and_eval',
    'train {digits} --model_dir={new} --mode=x',
  ),
  'ensemble size in words': (
    '--ensemble_size=two',
    'train {digits} --model_dir={new} --ensemble_size=two',
  ),
  'no members': (
    '--ensemble_size',
    'train {digits} --model_dir={new} --ensemble_size=0',
  ),
  'no TPU': ('--tpu', 'distill {digits} --model_dir={new} --tpu'),
  'model_dir is a file': (
    '--model_dir report.md',
    'distill {digits} --model_dir={old}/report.md',
  ),
  'model_dir is of another run': (
    '--model_dir {old} task.seed',
    'distill {digits} --model_dir={old} --seed=1 --objective=head '
    '--params_override={short}',
  ),
  'dataset not there': (
    'cifar100 --data_dir',
    'train --experiment=cifar100_wrn28_10 --model_dir={new} --data_dir={tmp}',
  ),
  'weights from no teacher': (
    'task.initialize_from',
    'train {digits} --model_dir={new} '
    '--params_override=task.initialize_from=[teacher]',
  ),
  'no run': ('--run', 'evaluate'),
  'no such scheme': ('foo', 'evaluate --run=foo://bucket/run'),
  'no folder to export to': ('--output_dir', 'export --run={old}'),
  'export onto its own run': (
    '--output_dir {old}',
    'export --run={old} --output_dir={old}',
  ),
  'temperature of a run that held out nothing': (
    '--temperature held_out_fraction --calibration',
    'export --run={old} --output_dir={new} --temperature=fit',
  ),
  'unknown temperature': (
    '--temperature=2',
    'export --run={old} --output_dir={new} --temperature=2',
  ),
  'ranks in words': (
    '--ranks 1,x',
    'reconstruct --teacher={old},{old} --output_dir={new} --ranks=1,x',
  ),
  'rank 0': (
    '--ranks 0',
    'reconstruct --teacher={members} --output_dir={new} --ranks=0',
  ),
  'a seed that a study is without': (
    '--seeds 7',
    'reproduce --study=configs/studies/digits.yaml --output_dir={new} '
    '--seeds=0,7',
  ),
  'one member to reconstruct': (
    '--teacher {member}',
    'reconstruct --teacher={member} --output_dir={new}',
  ),
  'unknown dataset to corrupt': (
    'imagenet',
    'make_corrupted --dataset=imagenet --output_dir={new}',
  ),
  'unknown corruption': (
    "--corruptions contrst 'contrast'",
    'make_corrupted --dataset=digits --output_dir={new} --corruptions=contrst',
  ),
  'negative processes': (
    '--processes -1',
    'make_corrupted --dataset=digits --output_dir={new} --processes=-1',
  ),
  'no model to predict with': ('--model', 'predict a.png'),
  'no study': ('--study', 'reproduce'),
  'part of a study that is not there': (
    "--only head_studnet 'head_student'",
    'reproduce --study=configs/studies/digits.yaml --output_dir={new} '
    '--only=head_studnet',
  ),
}

# Maps each override to the names that must be said.
_OVERRIDES = {
  'task.model.width=a': 'task.model.width params_override int',
  'trainer.base_learning_rate=-1': 'trainer.base_learning_rate -1',
  'task.objective.weight=1.5': 'task.objective.weight 1.5',
  'task.model.depth=11': 'task.model.depth 11',
  'evaluation.corruptions=[contrst]': "contrst 'contrast'",
  'evaluation.severities=[6]': 'severit 6',
  'evaluation.source=/nowhere': '/nowhere',
}

# Maps YAML (as bytes, for --config_file) to the names that must be said besides
# the name of the file.
_YAML = {
  b'task: {model: {width: wide}}': 'task.model.width wide int',
  b'task: {modle: {width: 2}}': "modle 'model'",
  b'task: {seed: 1, l2: 0.1, seed: 2}': 'seed',
  b'task: &a {model: *a}': 'task.model.model',
  b'task: {seed: \xff\xfe}': '0xff',
  b'[' * 5000: '',
  # Written out, this would have ten to the ninth words.
  b'a: &a [x,x,x,x,x,x,x,x,x,x]\n'
  + b''.join(
    b'%c: &%c [%s]\n' % (n, n, b','.join([b'*%c' % (n - 1)] * 10))
    for n in b'bcdefghi'
  )
  + b'task: {seed: *i}': '',
  None: '',
}

# Maps each study to the names that must be said; {file} is the study's file.
_STUDIES = {
  'experiment: digits_wrn10_1\nsystms: {}': "{file} systms 'systems'",
  'experiment: digits_wrn10_1\nsystems: {student: {}}\nexport: studnet': (
    "{file} export studnet 'student'"
  ),
  'experiment: digits_wrn10_1\nsystems: {a: {task: {sed: 1}}}': (
    "systems.a sed 'seed'"
  ),
  'experiment: digits_wrn10_1\nsystems: {a: {}}\n'
  'tables: {t: {rows: [b]}}': '{file} tables.t.rows',
}


@pytest.fixture(name='calls', scope='module')
def _calls(places):
  """Maps each mistake to the names to be said, and to the call."""
  calls = {
    mistake: (
      names.format(**places),
      call.format(digits=_DIGITS, **places).split(),
    )
    for mistake, (names, call) in _FLAGS.items()
  }
  train = f'train {_DIGITS} --model_dir={places["new"]}'.split()
  for text, names in _OVERRIDES.items():
    calls[text] = names, [*train, f'--params_override={text}']
  for number, (content, names) in enumerate(_YAML.items()):
    path = places['tmp'] / f'{number}.yaml'
    if content is not None:
      path.write_bytes(content)
    calls[path.name] = f'{path} {names}', [*train, f'--config_file={path}']
  study = ['reproduce', f'--output_dir={places["new"]}']
  for number, (content, names) in enumerate(_STUDIES.items()):
    path = places['tmp'] / f'study_{number}.yaml'
    path.write_text(content)
    calls[path.name] = names.format(file=path), [*study, f'--study={path}']
  return calls


def test_each_mistake_is_one_line_that_names_it(calls, places):
  running.check_mistakes(calls, [places['old'], places['tmp']])
