// The view `-o findings`: what was found in a recording and nothing else of it, worst first, as compilers tell what they have to say.
//
//   close/unread: error: the server's close() reset the connection ... [reset.unread_data_at_close, observed]
//     1 client 127.0.0.1:40001 → server 127.0.0.1:9999, after 1.05 ms
//     → read to the end first
//
// In front stands what the recording is called, if it has a name. What is merely in order (severity chat) is left out; where nothing
// else was found, that is said. The ids are those of docs/FINDINGS.md.
#pragma once

#include <string>

#include "explain/explain.h"
#include "render/timeline/text.h"

namespace tcpwhy::render {

// Ends in a new line. Safe for a terminal.
std::string findings_report(const explain::Explained& explained, const TextOptions& options);

}  // namespace tcpwhy::render
