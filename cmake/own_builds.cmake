# How this project compiles its own tests, examples and benchmarks: with warnings as errors, in plexus' headers too, and
# with the sanitizers that PLEXUS_SANITIZE names.
if(PLEXUS_RESOLVED_DEVICE STREQUAL cuda)
  enable_language(CUDA)
endif()

set(CMAKE_NO_SYSTEM_FROM_IMPORTED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

set(plexus_warnings -Wall -Wextra -Wshadow -Wconversion -Werror)
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${plexus_warnings};-Wpedantic>")
# The C++ compiler under nvcc does not know the pragmas that are meant for the device.
list(JOIN plexus_warnings "," warnings_under_nvcc)
add_compile_options(
  "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:--Werror=all-warnings;-Xcompiler=${warnings_under_nvcc},-Wno-unknown-pragmas>")
# g++ 12 sees copies that overlap in std::string's operator+, where there are none (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-restrict)
endif()

if(PLEXUS_SANITIZE)
  add_compile_options(-fsanitize=${PLEXUS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${PLEXUS_SANITIZE})
endif()
