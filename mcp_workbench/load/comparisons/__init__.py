"""Whether a candidate is slower: statistics, verdicts, the gate."""
