"""The audit: what in a contract is incomplete or contradicts itself, why that hurts, and the mend."""
