"""What the public commands say of a user's mistakes."""

import concurrent.futures

import running


def test_mistakes_are_one_line_and_no_traceback(student, tmp_path):
  folder, _ = student
  distill = ['distill', '--experiment=digits_wrn10_1']
  new = f'--model_dir={tmp_path / "new"}'
  cases = {
      "did you mean 'digits_wrn10_1'": [
          'distill', '--experiment=digits_wrn101', new],
      'task.model.width': [
          *distill, new, '--params_override=task.model.width=a'],
      'this is a missing folder': [*distill, new, '--teacher=/nowhere'],
      'a run with task.seed=0, not 1': [
          *distill, f'--model_dir={folder}', '--seed=1', '--objective=head',
          f'--params_override={running.SHORT}'],
      'as many teacher members (4) as student members (3)': [
          *distill, new, '--objective=head', '--ensemble_size=3'],
      'a folder that can be written': [
          *distill, f'--model_dir={folder / "report.md"}'],
      'a network to download it': [
          'train', '--experiment=cifar100_wrn28_10', new,
          f'--data_dir={tmp_path}'],
      'flags only': ['train', '--experiment=digits_wrn10_1', new, 'stray'],
      "--run: got '/nowhere'": ['evaluate', '--run=/nowhere'],
      "scheme 'foo' not implemented": ['evaluate', '--run=foo://bucket/run'],
      'run folders, where there is no teacher': [
          'train', '--experiment=digits_wrn10_1', new,
          '--params_override=task.initialize_from=[teacher]'],
      "--ranks: got '1,x'": [
          'reconstruct', f'--teacher={folder}', new.replace('model', 'output'),
          '--ranks=1,x'],
      '--study': ['reproduce', '--study=/nowhere.yaml'],
      'that export.py wrote': ['predict', f'--model={folder}', __file__],
      'a folder or a pattern': [
          'predict', f'--model={folder / "saved_model"}', tmp_path],
      'runs that held out the same': [
          'export', f'--run={folder}', f'--output_dir={tmp_path / "new"}',
          '--temperature=fit'],
      '--output_dir': ['export', f'--run={folder}'],
      'would be lost': ['export', f'--run={folder}', f'--output_dir={folder}'],
      '--tpu': [*distill, new, '--tpu'],
  }
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    answers = pool.map(lambda case: running.run(*case), cases.values())
    for wanted, answer in zip(cases, answers):
      assert answer.returncode == 2, (wanted, answer.stderr)
      assert wanted in answer.stderr
      assert 'Traceback' not in answer.stderr
      assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
  assert not (tmp_path / 'new').exists()
