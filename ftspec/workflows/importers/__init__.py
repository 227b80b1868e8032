"""What `new --from` reads: data files and other tools' configurations, each turned into a sketch of an experiment."""
