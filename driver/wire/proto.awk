# SPDX-License-Identifier: Apache-2.0
# containerd's .proto file as protoc-c takes it: without the options of another generator, imports by name
# alone, and with the fields that newer versions of containerd have, where this one lacks them.

BEGIN {
	added["CommitSnapshotRequest"] = "string parent = 5;" # 2.1
	added["ApplyRequest"] = "bool sync_fs = 4;" # 2.0
	added["DiffRequest"] = "google.protobuf.Timestamp source_date_epoch = 6;" # 1.7
}

/gogoproto\/gogo\.proto/ || /^[ \t]*option \(gogoproto/ { next }

{
	gsub(/ *\[\(gogoproto[^]]*\]/, "")
	sub(/"github\.com\/containerd\/containerd\/api\/types\//, "\"")
}

/^message / { message = $2 }

added[message] && index($0, substr(added[message], 1, index(added[message], " ="))) { delete added[message] }

/^}/ && added[message] {
	print "\t" added[message]
	delete added[message]
}

/^package / && /diff/ { wants_timestamp = 1 }

/google\/protobuf\/timestamp\.proto/ { wants_timestamp = 0 }

/^option go_package/ && wants_timestamp { print "import \"google/protobuf/timestamp.proto\";" }

{ print }
