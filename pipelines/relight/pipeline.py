from camera_nano.nn.pipeline import RelightPipeline as RelightPipeline
