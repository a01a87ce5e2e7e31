# Completion of ipcbox and its applets for bash 4.2 and later, with or without the bash-completion package.
# Generated from the tables of the program: BLESS=1 cargo test generated
# shellcheck shell=bash disable=SC2016,SC2034,SC2154

typeset -gA _ipcbox_table=(
@TABLE@
)

# Enters a place of the table.
_ipcbox_enter() {
    place=$1
    local text=${_ipcbox_table[$place]}
    if [[ $text == '>'* ]]; then
        place=${text#>}
        text=${_ipcbox_table[$place]}
    fi
    mapfile -t rows <<<"$text"
}

# Finds the kind of value and the description of a word of this place.
_ipcbox_find() {
    local row
    for row in "${rows[@]}"; do
        [[ ,${row%%$'\t'*}, == *",$1,"* ]] || continue
        row=${row#*$'\t'}
        value=${row%%$'\t'*}
        text=${row#*$'\t'}
        return 0
    done
    return 1
}

# Offers a word with its description if it starts with the typed text.
_ipcbox_offer() {
    if [[ $1 == "$current"* ]]; then
        offers+=("$1")
        texts+=("${2-}")
    fi
}

# Offers the words of the rows with this kind of value, or all options.
_ipcbox_offer_rows() {
    local row word rest
    for row in "${rows[@]}"; do
        rest=${row#*$'\t'}
        [[ $1 == "${rest%%$'\t'*}" || ($1 == options && $row == -*) ]] || continue
        row=${row%%$'\t'*}
        for word in ${row//,/ }; do
            _ipcbox_offer "$word" "${rest#*$'\t'}"
        done
    done
}

# Keeps the typed text up to the last of these characters.
_ipcbox_keep() {
    local rest=${current##*["$1"]}
    before+=${current%"$rest"}
    current=$rest
}

# Offers directories and the files for which this test of the shell is true.
_ipcbox_files() {
    local file files path
    mapfile -t files < <(compgen -f -- "$current")
    for file in "${files[@]}"; do
        path=${file/#\~\//$HOME/}
        if [ -d "$path" ] || test "$1" "$path"; then
            _ipcbox_offer "$file"
        fi
    done
    as_files=1
    compopt -o filenames
}

# Offers processes or existing objects, as ipcbox lists them.
# A called program in PATH is run if its real name is that of ipcbox, otherwise the ipcbox in PATH. A path may be that of any script.
_ipcbox_offer_live() {
    local program='' lines
    [[ ${words[0]} == */* ]] || program=$(readlink -f -- "$(type -P -- "${words[0]}")" 2>/dev/null)
    [[ ${program##*/} == ipcbox* ]] || program=$(type -P ipcbox) || return 0
    mapfile -t lines < <(exec "$program" --complete "$1" "$current" 2>/dev/null </dev/null)
    offers+=("${lines[@]%%$'\t'*}")
    texts+=("${lines[@]#*$'\t'}")
}

_ipcbox_values() {
    local word files
    case $1 in
        =*) for word in ${1//[=,]/ }; do _ipcbox_offer "$word"; done ;;
        ,*)
            _ipcbox_keep ,
            for word in ${1//,/ }; do
                [[ =$before == *[=,]"$word",* ]] || _ipcbox_offer "$word"
            done
            ;;
        /*)
            # With a slash, a file is meant, or a POSIX object.
            [[ $current != */* || $current == ftok:* ]] || _ipcbox_files -f
            _ipcbox_values "${1#/}"
            ;;
        file) compopt -o default ;;
        dir) compopt -o dirnames ;;
        fifo) _ipcbox_files -p ;;
        socket) _ipcbox_files -S ;;
        address) if [[ $current == */* ]]; then _ipcbox_files -S; else _ipcbox_offer_live address; fi ;;
        pipe)
            if [[ $current == +([0-9]):* ]]; then
                _ipcbox_keep :
                mapfile -t files < <(compgen -G "/proc/${before%:}/fd/*")
                for word in "${files[@]}"; do
                    [[ ! -p $word ]] || _ipcbox_offer "${word##*/}"
                done
            else
                _ipcbox_files -p
            fi
            ;;
        pid) _ipcbox_offer_live pid ;;
        signal)
            _ipcbox_keep ,=
            if [[ $current == SIG* ]]; then
                before+=SIG
                current=${current#SIG}
            fi
            _ipcbox_enter signals
            _ipcbox_offer_rows -
            ;;
        user)
            if [[ $current == *:* ]]; then
                _ipcbox_keep :
                mapfile -t offers < <(compgen -g -- "$current")
            else
                mapfile -t offers < <(compgen -u -- "$current")
            fi
            ;;
        applet)
            _ipcbox_enter .
            _ipcbox_offer_rows verb
            ;;
        new) _ipcbox_offer private 'A new object without a key' ;;&
        new | key | ipc* | msg* | sem* | shm*)
            [[ $1 == new ]] || _ipcbox_offer_live "${1/#ipc/$kind}"
            if [[ $current == ftok:* ]]; then
                # The files, if no object has such a name.
                compopt -o default
            else
                [[ $1 == *-[ikn]* || ($1 != new && $1 != key && $current != f*) ]] || _ipcbox_offer ftok: 'The key of a file'
            fi
            ;;
    esac
}

# Completes the command that starts at this word as the shell does.
_ipcbox_command() {
    local at=$1 function
    for function in _comp_command_offset _command_offset; do
        if declare -F "$function" >/dev/null; then
            "$function" "$at"
            return
        fi
    done
    if ((at == COMP_CWORD)); then
        if [[ $current == */* ]]; then
            compopt -o default
        else
            mapfile -t COMPREPLY < <(compgen -c -- "$current")
        fi
        return
    fi
    local command=${COMP_WORDS[at]} spec
    spec=$(complete -p -- "${command##*/}" 2>/dev/null)
    local COMP_LINE=${COMP_LINE:$2} COMP_POINT=$((COMP_POINT - $2))
    local COMP_WORDS=("${COMP_WORDS[@]:at}") COMP_CWORD=$((COMP_CWORD - at))
    if [[ $spec =~ \ -F\ ([^ ]+) ]] && function=${BASH_REMATCH[1]} && declare -F "$function" >/dev/null; then
        [[ $spec =~ \ -o\ (nospace) ]] && compopt -o nospace
        [[ $spec =~ \ -o\ (filenames) ]] && compopt -o filenames
        "$function" "$command" "$3" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
    fi
    ((${#COMPREPLY[@]})) || compopt -o default
}

# Passes the offers to readline, with their descriptions if it lists them.
_ipcbox_reply() {
    local i word width=0 listed='' cut=${typed%"$1"}
    [[ $COMP_TYPE == 63 || $COMP_TYPE == 33 || $COMP_TYPE == 64 ]] && ((${#offers[@]} > 1)) && listed=1
    for i in "${!offers[@]}"; do
        word=$before${offers[i]}
        word=${word#"$cut"}
        [[ ! $as_files && $word == *[!A-Za-z0-9_./:=,@%+#-]* ]] && printf -v word %q "$word"
        COMPREPLY[i]=$word
        ((width = ${#word} > width ? ${#word} : width))
    done
    if [[ $listed && ! $as_files ]]; then
        for i in "${!offers[@]}"; do
            [[ ${texts[i]-} ]] || continue
            printf -v word '%-*s  %s' "$width" "${COMPREPLY[i]}" "${texts[i]}"
            COMPREPLY[i]=${word:0:${COLUMNS:-80} - 3}
        done
    elif [[ ${#offers[@]} == 1 && ${offers[*]} == *: ]]; then
        compopt -o nospace
    fi
}

_ipcbox() {
    local IFS=$' \t\n' words=() at=() starts=() line=${COMP_LINE:0:COMP_POINT} rest word i
    COMPREPLY=()
    # The words as the shell splits them; readline also splits at : and =.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        rest=${line#"${line%%[![:blank:]]*}"}
        word=${COMP_WORDS[i]:0:${#rest}}
        if [[ $rest == "$line" ]] && ((i)); then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
            at+=("$i")
            starts+=($((COMP_POINT - ${#rest})))
        fi
        line=${rest#"$word"}
    done
    local current=${words[${#words[@]} - 1]#[\"\']} before='' offers=() texts=() as_files=''
    local typed=$current name=${words[0]##*/} place rows value text pending='' maybe='' ended='' count='' below kind=ipc
    while [[ ! ${_ipcbox_table[$name]-} && $name == *-* ]]; do
        name=${name#*-}
    done
    [[ ${_ipcbox_table[$name]-} ]] || name=.
    if [[ $name == "${words[0]}" ]]; then
        # Another program can have this name, such as the sem of GNU parallel.
        local ipcbox program
        ipcbox=$(type -P ipcbox) program=$(type -P "$name")
        if [[ $ipcbox && $program && ! $program -ef $ipcbox ]]; then
            compopt -o default
            return
        fi
    fi
    _ipcbox_enter "$name"
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        maybe=''
        below=${place}_$word
        if [[ $pending ]]; then
            pending=''
        elif [[ ! $count$ended && ${_ipcbox_table[${below#._}]-} ]]; then
            _ipcbox_enter "${below#._}"
        elif [[ ! $ended && $word == -- ]]; then
            ended=1
            _ipcbox_find -- || continue
            local command=$((i + 1))
            for ((i++; i < ${#words[@]} - 1; i++)); do
                [[ $value == stages && ${words[i]} == ::: ]] && command=$((i + 1))
            done
            _ipcbox_command "${at[command]}" "${starts[command]}" "$2"
            return
        elif [[ ! $ended ]] && _ipcbox_find "$word"; then
            case $value in
                \?*) maybe=${value#?} ;;
                +*) kind=${value#?} ;;
                @*) _ipcbox_enter "${value#?}" ;;
                *) pending=$value ;;
            esac
        elif [[ $ended || $word != -?* ]]; then
            ((++count))
        fi
    done
    if [[ $pending ]]; then
        _ipcbox_values "$pending"
    elif [[ ! $ended && $current == --*=* ]]; then
        if _ipcbox_find "${current%%=*}"; then
            _ipcbox_keep '='
            _ipcbox_values "${value#\?}"
        fi
    elif [[ ! $ended && $current == -* ]]; then
        _ipcbox_offer_rows options
    else
        [[ ! $maybe ]] || _ipcbox_values "$maybe"
        ((count)) || _ipcbox_offer_rows verb
        if _ipcbox_find "#$((count + 1))" || _ipcbox_find '#*'; then
            _ipcbox_values "$value"
        elif _ipcbox_find --; then
            _ipcbox_offer -- "$text"
        fi
    fi
    _ipcbox_reply "$2"
}

# Other programs with these names, such as the ipcrm of util-linux, keep their own completion, unless bash has just asked for this one.
_ipcbox_register() {
    local ipcbox program name others=' ' names=() asked=${COMP_WORDS-}
    set -- @NAMES@
    ipcbox=$(type -P ipcbox)
    while [[ $ipcbox ]] && read -r program; do
        name=${program##*/}
        [[ $program -ef $ipcbox || $name == "${asked##*/}" ]] || others+="$name "
    done < <(type -P "$@")
    for name; do
        [[ $others == *" $name "* ]] || names+=("$name")
    done
    complete -o nosort -F _ipcbox "${names[@]}" 2>/dev/null || complete -F _ipcbox "${names[@]}"
}
_ipcbox_register
