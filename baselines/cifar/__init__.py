"""Commands for image classification: CIFAR-10, CIFAR-100, digits."""
