// The segments of one connection of a capture as rows: what the tracker says of each, in words; long runs of the ordinary folded.
#pragma once

#include "base/language.h"
#include "explain/explain.h"
#include "render/timeline/rows.h"
#include "tcp/seen_connection.h"

namespace tcpwhy::render {

struct ConnectionRowsOptions {
  base::Language language = base::Language::en;
  bool all = false;  // nothing folded
};

// Sides: opener and listener as SeenConnection::opener() has them. Row::events are empty.
Rows make_rows_of(const tcp::SeenConnection& seen, const ConnectionRowsOptions& options);

// With the calls of the time: `explained` is made of the packets of `seen` (the i-th segment in order of time is its i-th packet) and of
// calls. A cause is said of the segments of an end only if calls of that end are known.
Rows make_rows_of(const tcp::SeenConnection& seen, const explain::Explained& explained,
                  timeline::ConnectionIndex connection, const ConnectionRowsOptions& options);

}  // namespace tcpwhy::render
