"""TensorBoard's own page on Holter's runs, live, with nothing copied.

serve         serve a folder's runs to a TensorBoard that is started for it, until it is stopped
data_server   serve them to a TensorBoard that was started with `--grpc_data_provider`

It needs the extra `tensorboard`. Importing this module does not.
"""

from holter.tensorboard._program import TensorBoardEndedError, serve
from holter.tensorboard._server import data_server

__all__ = ["TensorBoardEndedError", "data_server", "serve"]
