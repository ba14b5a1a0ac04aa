// The report of the laboratory: question by question, the experiments with their timelines, then the answer.
#pragma once

#include <span>
#include <string>

#include "explain/explain.h"
#include "render/timeline/text.h"

namespace tcpwhy::render {

// The questions whose main experiments are among the recordings, in their order, each with all its experiments; a contrast alone stands
// under the first question that it asks, and recordings that ask none stand by themselves before.
std::string lab_report(std::span<const explain::Explained> explained, const TextOptions& options);

}  // namespace tcpwhy::render
