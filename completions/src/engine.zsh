#compdef @NAMES@
# Completion of ipcbox and its applets for zsh.
# Generated from the tables of the program: BLESS=1 cargo test generated

(( $+_ipcbox_table )) || typeset -gA _ipcbox_table=(
@TABLE@
)

# Enters a place of the table.
_ipcbox_enter() {
    place=$1
    local text=$_ipcbox_table[$place]
    if [[ $text == '>'* ]]; then
        place=${text#>}
        text=$_ipcbox_table[$place]
    fi
    rows=("${(@f)text}")
}

# Finds the kind of value and the description of a word of this place.
_ipcbox_find() {
    local row
    for row in $rows; do
        [[ ,${row%%$'\t'*}, == *",$1,"* ]] || continue
        row=${row#*$'\t'}
        value=${row%%$'\t'*}
        text=${row#*$'\t'}
        return 0
    done
    return 1
}

# Collects a word with its description.
_ipcbox_offer() {
    offers+=("${1//:/\\:}:$2")
}

# Offers the words of the rows with this kind of value, or all options.
_ipcbox_offer_rows() {
    local row word rest
    for row in $rows; do
        rest=${row#*$'\t'}
        [[ $1 == ${rest%%$'\t'*} || ($1 == options && $row == -*) ]] || continue
        for word in ${(s:,:)row%%$'\t'*}; do
            _ipcbox_offer $word ${rest#*$'\t'}
        done
    done
}

# Offers processes or existing objects, one per line, as ipcbox lists them. _describe is too slow for many of them.
# A called program in PATH is run if its real name is that of ipcbox, otherwise the ipcbox in PATH. A path may be that of any script.
_ipcbox_live() {
    local -a found shown
    local line word program=$commands[$words[1]]
    local -i i width
    [[ -n $program && $program:A:t == ipcbox* ]] || program=$commands[ipcbox]
    # Other words are compared by zsh, which may ignore case.
    for line in ${(f)"$([[ -z $program ]] || exec $program --complete $1 "${(M)PREFIX##[0-9]*}" 2>/dev/null </dev/null)"}; do
        word=${line%%$'\t'*}
        found+=("$word")
        shown+=("${line#*$'\t'}")
        (( width = $#word > width ? $#word : width ))
    done
    for (( i = 1; i <= $#found; i++ )); do
        line="${(r:width:)found[i]}  -- $shown[i]"
        shown[i]=$line[1,COLUMNS-1]
    done
    compadd -V objects -l -d shown -a found
}

_ipcbox_values() {
    local -a offers given
    case $1 in
        '='*) compadd -V words - ${(s:,:)1#=} ;;
        ,*)
            compset -P '*,'
            offers=(${(s:,:)1})
            given=(${(s:,:)IPREFIX##*=})
            compadd -V words - ${offers:|given}
            offers=()
            ;;
        /*)
            # With a slash, a file is meant, or a POSIX object.
            [[ $PREFIX != */* || $PREFIX == ftok:* ]] || _files
            _ipcbox_values ${1#/}
            ;;
        file) _files ;;
        dir) _files -/ ;;
        fifo) _files -g '*(-p)' ;;
        socket) _files -g '*(-=)' ;;
        address) if [[ $PREFIX == */* ]]; then _files -g '*(-=)'; else _ipcbox_live address; fi ;;
        pipe)
            if compset -P '<->:'; then
                compadd - /proc/${${IPREFIX%:}##*[^0-9]}/fd/*(-pN:t)
            else
                _files -g '*(-p)'
            fi
            ;;
        pid) _ipcbox_live pid ;;
        signal)
            compset -P '*[,=]'
            compset -P SIG
            _ipcbox_enter signals
            _ipcbox_offer_rows -
            ;;
        user) if compset -P '*:'; then _groups; else _users; fi ;;
        applet)
            _ipcbox_enter .
            _ipcbox_offer_rows verb
            ;;
        new|key|ipc*|msg*|sem*|shm*)
            [[ $1 == new ]] || _ipcbox_live ${1/#ipc/$kind}
            if compset -P ftok:; then
                _files
            else
                [[ $1 != new ]] || _ipcbox_offer private 'A new object without a key'
                [[ $1 == *-[ikn]* || ($1 != (new|key) && $PREFIX != f*) ]] || {
                    local -a key=('ftok\::The key of a file')
                    _describe key key -S ''
                }
            fi
            ;;
    esac
    (( ! $#offers )) || _describe -V value offers
}

_ipcbox() {
    local place value text pending maybe ended word below kind=ipc name=${words[1]:t}
    local -a rows offers
    local -i i command count
    while (( ! $+_ipcbox_table[$name] )) && [[ $name == *-* ]]; do
        name=${name#*-}
    done
    (( $+_ipcbox_table[$name] )) || name=.
    # Another program can have this name, such as the sem of GNU parallel.
    if [[ $name == $words[1] && -n $commands[ipcbox] && -n $commands[$name] && ! $commands[$name] -ef $commands[ipcbox] ]]; then
        _default
        return
    fi
    _ipcbox_enter $name
    for (( i = 2; i < CURRENT; i++ )); do
        word=$words[i]
        maybe=
        below=${place}_$word
        if [[ -n $pending ]]; then
            pending=
        elif [[ $count$ended == 0 && -n $_ipcbox_table[${below#._}] ]]; then
            _ipcbox_enter ${below#._}
        elif [[ -z $ended && $word == -- ]]; then
            ended=1
            _ipcbox_find -- || continue
            command=i
            for (( i++; i < CURRENT; i++ )); do
                [[ $value == stages && $words[i] == ::: ]] && command=i
            done
            shift $command words
            (( CURRENT -= command ))
            _normal
            return
        elif [[ -z $ended ]] && _ipcbox_find $word; then
            case $value in
                \?*) maybe=${value#?} ;;
                +*) kind=${value#?} ;;
                @*) _ipcbox_enter ${value#?} ;;
                *) pending=$value ;;
            esac
        elif [[ -n $ended || $word != -?* ]]; then
            count+=1
        fi
    done
    if [[ -n $pending ]]; then
        _ipcbox_values $pending
    elif [[ -z $ended && $PREFIX == --*=* ]]; then
        _ipcbox_find ${PREFIX%%=*} && compset -P '[^=]#=' && _ipcbox_values ${value#\?}
    elif [[ -z $ended && $PREFIX == -* ]]; then
        _ipcbox_offer_rows options
        _describe -V -o option offers
    else
        [[ -n $maybe ]] && _ipcbox_values $maybe
        (( count )) || _ipcbox_offer_rows verb
        (( ! $#offers )) || _describe -V verb offers
        if _ipcbox_find "#$(( count + 1 ))" || _ipcbox_find '#*'; then
            _ipcbox_values $value
        elif _ipcbox_find --; then
            offers=("--:$text")
            _describe command offers
        fi
    fi
}

# compinit loads this file as the body of the function, and a user can source it.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _ipcbox "$@"
else
    compdef -n _ipcbox @NAMES@
fi
