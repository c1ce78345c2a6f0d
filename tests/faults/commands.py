# SPDX-License-Identifier: Apache-2.0
"""The commands that are broken, by name."""
from container_commands import (Commit, CreateBundle, CreateNoMount, CreateReadOnly, CreateUserns, MakesContainer, Mount,
                                Rm, Umount)
from image_commands import Build, First, Import, Load, LoadDiscard, LoadDocker, LoadStream, Pull, Rmi, Runtime, Tag
from reading_commands import Df, Diff, Export, History, Images, Inspect, Ls, Save, SaveDir, SaveDocker
from upkeep_commands import CheckRepair, Gc

COMMANDS = {
    "first": First, "load": Load, "load-stream": LoadStream, "load-docker": LoadDocker,
    "load-discard": LoadDiscard, "import": Import, "pull": Pull, "tag": Tag, "rmi": Rmi, "create": MakesContainer,
    "create-no-mount": CreateNoMount, "create-read-only": CreateReadOnly, "create-userns": CreateUserns,
    "create-bundle": CreateBundle, "mount": Mount, "umount": Umount, "rm": Rm, "commit": Commit, "build": Build,
    "check-repair": CheckRepair, "save": Save, "save-docker": SaveDocker, "save-dir": SaveDir, "export": Export,
    "diff": Diff, "images": Images, "ls": Ls, "inspect": Inspect, "history": History, "df": Df, "gc": Gc,
    "runtime": Runtime}
