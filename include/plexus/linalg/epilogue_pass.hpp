// The epilogue as a pass of its own, over products that lie in C already.
#pragma once

#include <plexus/core/context.hpp>
#include <plexus/core/for_each.hpp>
#include <plexus/kernels/epilogue.hpp>

#include <type_traits>

namespace plexus::inline PLEXUS_ABI {

template <class Epilogue>
struct epilogue_pass {
  Epilogue epilogue;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    for (int col = group.rank(); col < epilogue.c.cols; col += group.size())
      epilogue(row, col, epilogue.c(row, col));
  }
};

// The same, over products that lie in a matrix of their own.
template <class Epilogue, class T = float>
struct epilogue_pass_over {
  matrix_view<const T> products;
  Epilogue epilogue;

  template <class Group>
  PLEXUS_FN void operator()(Group group, int row) const {
    for (int col = group.rank(); col < products.cols; col += group.size())
      epilogue(row, col, static_cast<float>(products(row, col)));
  }
};

// What a product does by itself when it writes C or adds to it.
template <class Epilogue>
using plain_epilogue = std::conditional_t<Epilogue::accumulates, accumulate, store>;

template <class Epilogue>
void pass_epilogue(const context& context, const Epilogue& epilogue) {
  if constexpr (!std::is_same_v<Epilogue, plain_epilogue<Epilogue>>) {
    for_each_row(context.stream(), epilogue.c.rows, epilogue_pass<Epilogue>{epilogue});
  }
}

}  // namespace plexus::inline PLEXUS_ABI
