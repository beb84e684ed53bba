"""HL7 version 2: from bytes of unknown origin to values that can be asked for.

`lines` and `framing` find the messages, `charset` reads their bytes, `segments` and `escapes` take them apart,
`timestamps` reads dates. The only door to the library hl7. Knows neither mappings (`producers.hl7_feed`) nor Kafka.
"""
