"""Where in the face a model looks: heatmaps, their faithfulness, face regions."""
