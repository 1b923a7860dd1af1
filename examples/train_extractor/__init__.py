"""The recipe that trained `radixgen/builtin`: generator, tokenizer, model, trainer, evaluation."""
