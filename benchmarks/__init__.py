"""What comfywarm costs and how fast it is, each figure beside a bare baseline that was measured in the same run."""
