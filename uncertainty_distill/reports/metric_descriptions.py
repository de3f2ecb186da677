"""What the columns of the report mean, in words."""

MEANINGS = {
  'accuracy': (
    'the share of clean test images whose most probable class, by the mean'
    " of the members' probabilities, is the right one"
  ),
  'ece': (
    'expected calibration error, the distance between confidence and'
    ' accuracy, averaged over 15 equal-width bins of confidence'
  ),
  'nll': (
    "negative log-likelihood of the mean of the members' probabilities, in"
    ' nats an image'
  ),
  'gibbs_nll': "the mean of the members' own negative log-likelihoods",
  'c_accuracy': (
    'accuracy on corrupted test images, its mean over types of corruption,'
    ' then over severities'
  ),
  'c_ece': 'ECE on corrupted test images, averaged likewise',
  'c_nll': 'NLL on corrupted test images, averaged likewise',
  'adaptive_ece': 'like ECE, over 15 bins of equally many images',
  'brier': (
    'the squared distance between the probabilities and the one-hot label,'
    ' an image'
  ),
  'auroc_misclassification': (
    'the probability that a rightly classified image gets a higher'
    ' confidence than a wrongly classified one'
  ),
  'aurc': (
    'area under the risk-coverage curve: the share of errors among the k'
    ' images that the model is surest of, averaged over all k'
  ),
  'auroc_ood': (
    'the probability that an image of none of the classes gets a higher'
    ' predictive entropy than a clean test image'
  ),
  'disagreement': (
    'the share of pairs of members whose most probable classes differ'
  ),
  'mutual_information': (
    "entropy of the mean of the members' probabilities minus the mean of"
    ' their entropies, in nats'
  ),
  'pairwise_kl': (
    "mean Kullback-Leibler divergence between two members' probabilities,"
    ' in nats'
  ),
  'masegosa_variance': (
    "variance of the members' probabilities of the right class, divided by"
    ' twice the square of the largest; in the second-order bound of'
    ' Masegosa (2019) NLL is below Gibbs NLL by at least as much'
  ),
}
