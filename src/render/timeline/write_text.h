// Where a view's text goes, piece by piece.
#pragma once

#include <functional>
#include <string_view>

namespace tcpwhy::render {

using WriteText = std::function<void(std::string_view)>;

}  // namespace tcpwhy::render
