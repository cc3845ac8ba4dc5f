"""What one needs with pairs of one's own: the look before training, rivals, biases, the report, the command line."""
