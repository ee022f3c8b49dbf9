"""Measuring: samples of calls, and the tables of latency and error rate made of their records."""
