"""Living inside a kernel: the loop thread, targets, connections, hosted servers."""
