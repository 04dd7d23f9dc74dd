# Defines hostcuda::hostcuda, plexus::plexus, plexus::data, plexus::io and the command plexus_sources(). The source tree
# and the installed package both include this file: plexus is headers alone, so device and libraries are those of the
# project that uses it. PLEXUS_INCLUDE_DIR is where the headers are.
include("${CMAKE_CURRENT_LIST_DIR}/plexus_device.cmake")
list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}")

option(PLEXUS_VENDOR_BLAS "Link the vendor's BLAS: cuBLAS, or on the CPU the CBLAS that is installed" ON)
option(PLEXUS_ONEDNN "Beside a CBLAS link oneDNN where it is installed, for products on the CPU" ON)

function(plexus_add_interface name)
  add_library(${name} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${name} INTERFACE "${PLEXUS_INCLUDE_DIR}")
  if(PLEXUS_RESOLVED_DEVICE STREQUAL cuda)
    # Not the feature cxx_std_20: it demands the like of CUDA sources, which CMake 3.25 cannot give to nvcc 13.
    target_compile_options(${name} INTERFACE -std=c++20)
  else()
    target_compile_features(${name} INTERFACE cxx_std_20)
  endif()
endfunction()

# ---- CUDA C++ on the CPU

find_package(Threads QUIET)
find_package(Boost QUIET CONFIG COMPONENTS context)
if(PLEXUS_VENDOR_BLAS)
  find_package(CBLAS QUIET)
endif()
if(PLEXUS_VENDOR_BLAS AND PLEXUS_ONEDNN)
  find_package(OneDNN QUIET)
endif()

if(TARGET Boost::context AND TARGET Threads::Threads)
  plexus_add_interface(hostcuda::hostcuda)
  target_link_libraries(hostcuda::hostcuda INTERFACE Boost::context Threads::Threads)
  # As on a GPU, no floating-point operation traps and none sets errno; g++ otherwise does not vectorise a choice
  # between two values, and no square root.
  target_compile_options(hostcuda::hostcuda INTERFACE
    "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-trapping-math;-fno-math-errno>")
  if(TARGET CBLAS::CBLAS)
    target_link_libraries(hostcuda::hostcuda INTERFACE CBLAS::CBLAS)
  endif()
  if(TARGET CBLAS::CBLAS AND TARGET OneDNN::OneDNN)
    target_link_libraries(hostcuda::hostcuda INTERFACE OneDNN::OneDNN)
    target_compile_definitions(hostcuda::hostcuda INTERFACE HOSTCUDA_ONEDNN)
  endif()
elseif(PLEXUS_RESOLVED_DEVICE STREQUAL host)
  message(FATAL_ERROR "plexus: Boost.Context is missing, which kernels on the CPU run on; install it "
    "(Debian and Ubuntu: libboost-context-dev), or set PLEXUS_DEVICE=cuda")
endif()

# ---- plexus

plexus_add_interface(plexus::plexus)
if(PLEXUS_RESOLVED_DEVICE STREQUAL cuda)
  find_package(CUDAToolkit REQUIRED)
  find_package(Threads REQUIRED)  # one prepares batches
  target_link_libraries(plexus::plexus INTERFACE CUDA::cudart Threads::Threads)
  if(PLEXUS_VENDOR_BLAS)
    target_link_libraries(plexus::plexus INTERFACE CUDA::cublas)
    target_compile_definitions(plexus::plexus INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:PLEXUS_VENDOR_BLAS>)
  endif()
else()
  target_link_libraries(plexus::plexus INTERFACE hostcuda::hostcuda)
  if(TARGET CBLAS::CBLAS)
    target_compile_definitions(plexus::plexus INTERFACE PLEXUS_VENDOR_BLAS)
  endif()
endif()

# ---- The headers that need a library

find_package(ZLIB QUIET)
if(TARGET ZLIB::ZLIB)
  plexus_add_interface(plexus::data)
  target_link_libraries(plexus::data INTERFACE plexus::plexus ZLIB::ZLIB)
endif()

find_package(nlohmann_json QUIET)
find_path(STB_INCLUDE_DIR stb/stb_image_write.h DOC "The folder that holds stb/")
mark_as_advanced(STB_INCLUDE_DIR)
if(TARGET nlohmann_json::nlohmann_json AND STB_INCLUDE_DIR)
  plexus_add_interface(plexus::io)
  target_link_libraries(plexus::io INTERFACE plexus::plexus nlohmann_json::nlohmann_json)
  target_include_directories(plexus::io INTERFACE "${STB_INCLUDE_DIR}")
endif()

# ---- plexus_sources(<target> <file>...)
#
# Adds source files that use plexus to a target and links it: each is compiled as CUDA where the device is CUDA and as
# C++ where it is the CPU. A macro, since a language is enabled in the directory that uses it.
macro(plexus_sources target)
  if(PLEXUS_RESOLVED_DEVICE STREQUAL cuda)
    if(NOT CMAKE_CUDA_COMPILE_OBJECT)
      enable_language(CUDA)
    endif()
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 knows none for nvcc on Linux
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    # Else a CMAKE_CXX_STANDARD or CMAKE_CXX_EXTENSIONS of the project brings another standard.
    set_target_properties(${target} PROPERTIES CUDA_STANDARD 20)
    get_target_property(plexus_standard ${target} CXX_STANDARD)
    if(NOT plexus_standard MATCHES "^2")
      set_target_properties(${target} PROPERTIES CXX_STANDARD 20)
    endif()
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CUDA)
  endif()
  target_sources(${target} PRIVATE ${ARGN})
  target_link_libraries(${target} PRIVATE plexus::plexus)
endmacro()
