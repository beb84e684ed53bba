"""The language: records, topics, ids, reasons, codec. Pure; imports nobody."""
