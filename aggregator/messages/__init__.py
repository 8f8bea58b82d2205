"""The log of messages that protocols exchange: raw, once by id, linked to what they made."""
