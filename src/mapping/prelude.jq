# Definitions of our own, loaded before jaq's. Regular expressions pay before they run.
def matches($re; $flags):       pay_for_regex($re) | matches_unpaid($re; $flags);
def split_matches($re; $flags): pay_for_regex($re) | split_matches_unpaid($re; $flags);
def split_($re; $flags):        pay_for_regex($re) | split_unpaid($re; $flags);
def @json: tojson;
