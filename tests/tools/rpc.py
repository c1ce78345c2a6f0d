# SPDX-License-Identifier: Apache-2.0
"""A client of snapdrvd that knows nothing of it: Debian's gRPC for Python, messages from the .proto files.

Client(SOCKET, PROTO_DIR).prepare(key=..., parent=...) and so on: the method's request has these fields;
the answer is the response's message, or Failed with the name of gRPC's status."""
import copy
import os
import subprocess
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SNAPSHOTS = "containerd.services.snapshots.v1"
DIFF = "containerd.services.diff.v1"
SLOW = int(os.environ.get("SLOW", "1"))  # see lib.sh


class Failed(Exception):
    def __init__(self, error):
        self.status = error.code().name
        super().__init__(f"{self.status}: {error.details()}")


def _pool(proto_dir):
    with tempfile.NamedTemporaryFile() as out:
        files = [name for name in os.listdir(proto_dir) if name.endswith(".proto")]
        subprocess.run(["protoc-c", f"-I{proto_dir}", "-I/usr/include", "--include_imports",
                        f"--descriptor_set_out={out.name}", *sorted(files)], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


class Client:
    def __init__(self, path, proto_dir):
        self.channel = grpc.insecure_channel(f"unix:{path}")
        self.pool = _pool(proto_dir)
        self.factory = message_factory.MessageFactory(self.pool)
        self.metadata = ()

    def with_namespace(self, name):
        """The same client, in a namespace of containerd."""
        other = copy.copy(self)
        other.metadata = (("containerd-namespace", name),)
        return other

    def message(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))

    def raw(self, method, data, timeout=60 * SLOW):
        """The bytes of the answer to bytes."""
        try:
            return self.channel.unary_unary(method)(data, timeout=timeout)
        except grpc.RpcError as error:
            raise Failed(error) from None

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def call(**fields):
            service = self.pool.FindServiceByName(f"{DIFF}.Diff" if name in ("apply", "diff")
                                                  else f"{SNAPSHOTS}.Snapshots")
            method = service.FindMethodByName(name.capitalize())
            request = self.factory.GetPrototype(method.input_type)(**fields)
            response = self.factory.GetPrototype(method.output_type)
            path = f"/{service.full_name}/{method.name}"
            make = self.channel.unary_stream if name == "list" else self.channel.unary_unary
            try:
                answer = make(path, request_serializer=lambda m: m.SerializeToString(),
                              response_deserializer=response.FromString)(request, timeout=60 * SLOW, metadata=self.metadata)
                return list(answer) if name == "list" else answer
            except grpc.RpcError as error:
                raise Failed(error) from None
        return call

    def names(self, *filters):
        return [info.name for part in self.list(filters=filters) for info in part.info]


def fails(status, call, *args, **fields):
    """It fails with that status; the message."""
    try:
        call(*args, **fields)
    except Failed as error:
        assert error.status == status, f"{error}, not {status}: {args} {fields}"
        return str(error)
    raise AssertionError(f"it works, not {status}: {args} {fields}")
