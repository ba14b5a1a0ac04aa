// Pieces of JSON documents that more than one document holds. Not for other rooms.
#pragma once

#include <nlohmann/json.hpp>

#include "explain/questions.h"

namespace tcpwhy::render {

using Json = nlohmann::ordered_json;

// A recording with its connections and findings, as docs/JSON.md has it.
Json recording_json(const explain::Explained& explained, explain::Language language);

}  // namespace tcpwhy::render
