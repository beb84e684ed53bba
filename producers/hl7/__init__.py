"""HL7 version 2: from bytes of unknown origin to requests for messages.

`lines` and `framing` find the messages, `charset` reads their bytes, `segments` and `escapes` take them apart,
`timestamps` reads dates, `reader` joins these with a site's mapping. The only door to the library hl7; knows no Kafka.
"""
