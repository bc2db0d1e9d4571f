"""What can be learnt with: one file a learner, all of them writing artifact members."""
