// Pieces of JSON documents that more than one document holds. Not for other rooms.
#pragma once

#include "base/language.h"
#include "explain/explain.h"
#include "render/documents/json_writer.h"

namespace tcpwhy::render {

// A recording with its connections and findings, as docs/JSON.md has it: the members of the object that was begun.
void write_recording(JsonWriter& to, const explain::Explained& explained, base::Language language);

}  // namespace tcpwhy::render
