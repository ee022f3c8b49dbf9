"""JSON Schemas: what they let through, whether one lets through all that another does, and how they differ."""
