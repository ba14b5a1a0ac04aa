// The recordings, what was understood of them and the answers as one JSON document; docs/JSON.md describes it.
#pragma once

#include <span>
#include <string>

#include "base/language.h"
#include "explain/explain.h"
#include "render/timeline/write_text.h"

namespace tcpwhy::render {

// The document's "schema". The number after the slash grows when a reader of the old form would misread the new one; new
// members alone do not change it.
inline constexpr std::string_view json_schema = "tcpwhy-report/1";

// In pieces, for the document of a large recording is many times as large as that.
void write_json_report(std::span<const explain::Explained> explained, base::Language language, const WriteText& write);
std::string json_report(std::span<const explain::Explained> explained, base::Language language);

}  // namespace tcpwhy::render
