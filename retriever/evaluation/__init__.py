"""How well passages are found: the measures, and the benchmark M2KR."""
